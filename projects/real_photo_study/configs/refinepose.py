"""RefinePose as the paper has it: both in the stem, `repeat` decoder, identity shortcuts."""
_base_ = '../_base_/{{$STUDY_SCALE:cpu}}.py'

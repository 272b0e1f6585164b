"""RefinePose as in the paper: convolution and pooling in the stem, identity shortcuts."""
_base_ = '../_base_/{{$STUDY_SCALE:cpu}}.py'

"""RefinePose against ViTPose: what is timed, how, and tables and pictures of it."""

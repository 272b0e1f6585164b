"""The 14 joints of Leeds Sports Pose, in the order of its `joints.mat`; left and right are the
person's own. The sigmas of the limbs are COCO's; neck and head top have CrowdPose's."""
right, left, middle = [255, 128, 0], [0, 255, 0], [51, 153, 255]
joints = [  # name, its mirror image, half of the body, colour, sigma
    ('right_ankle', 'left_ankle', 'lower', right, .089),
    ('right_knee', 'left_knee', 'lower', right, .087),
    ('right_hip', 'left_hip', 'lower', right, .107),
    ('left_hip', 'right_hip', 'lower', left, .107),
    ('left_knee', 'right_knee', 'lower', left, .087),
    ('left_ankle', 'right_ankle', 'lower', left, .089),
    ('right_wrist', 'left_wrist', 'upper', right, .062),
    ('right_elbow', 'left_elbow', 'upper', right, .072),
    ('right_shoulder', 'left_shoulder', 'upper', right, .079),
    ('left_shoulder', 'right_shoulder', 'upper', left, .079),
    ('left_elbow', 'right_elbow', 'upper', left, .072),
    ('left_wrist', 'right_wrist', 'upper', left, .062),
    ('neck', '', 'upper', middle, .079),
    ('head_top', '', 'upper', middle, .079),
]
limbs = [
    ('right_ankle', 'right_knee', right), ('right_knee', 'right_hip', right),
    ('right_hip', 'left_hip', middle), ('left_hip', 'left_knee', left),
    ('left_knee', 'left_ankle', left), ('right_wrist', 'right_elbow', right),
    ('right_elbow', 'right_shoulder', right), ('left_shoulder', 'left_elbow', left),
    ('left_elbow', 'left_wrist', left), ('right_shoulder', 'neck', right),
    ('left_shoulder', 'neck', left), ('neck', 'head_top', middle),
]

dataset_info = dict(
    dataset_name='lspet',
    paper_info=dict(
        author='Sam Johnson and Mark Everingham',
        title='Learning Effective Human Pose Estimation from Inaccurate Annotation',
        container='CVPR',
        year='2011',
        homepage='http://sam.johnson.io/research/lspet.html'),
    keypoint_info={
        i: dict(name=name, id=i, color=color, type=half, swap=swap)
        for i, (name, swap, half, color, _) in enumerate(joints)
    },
    skeleton_info={
        i: dict(link=(start, end), id=i, color=color)
        for i, (start, end, color) in enumerate(limbs)
    },
    joint_weights=[1.] * len(joints),
    sigmas=[joint[-1] for joint in joints])

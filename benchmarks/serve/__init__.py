"""`edgesmith serve` beside `yolo predict`: the same network, video and threads."""

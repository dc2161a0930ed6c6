"""One video to frames: containers, decoding, times, scaling, optical flow, pictures."""

"""What happened in front of the camera, kept on the device until it is shipped."""

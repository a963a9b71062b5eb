"""Our wheel on ARM binaries under user-mode emulation: is what comes out the same as on x86?"""

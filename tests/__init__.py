"""The test suite; the scripted servers in it can be run by hand too."""

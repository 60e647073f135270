"""The test suite; the scripted servers in it can be run by hand too."""

import os
import sys

# Where Python is told to keep no compiled code, each process of tests would compile all of it again, and so would each
# arena that a test starts.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

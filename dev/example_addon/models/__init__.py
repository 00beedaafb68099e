from . import iused

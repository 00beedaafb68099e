from . import iused_mapping_test

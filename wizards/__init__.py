from . import iused_mapping_test, iused_shipment_serial, portal_wizard

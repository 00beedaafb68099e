from . import iused_mapping_test, iused_shipment_serial, iused_token_new, portal_wizard

from . import iused_invoice_period, iused_mapping_test, iused_shipment_serial, portal_wizard

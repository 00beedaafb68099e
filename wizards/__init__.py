from . import iused_shipment_serial

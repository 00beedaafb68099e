from . import (
    test_access,
    test_identifiers,
    test_offers,
    test_order_payload,
    test_orders,
    test_settings,
    test_shipment_changes,
    test_shipment_retries,
    test_shipment_routes,
    test_shipments,
)

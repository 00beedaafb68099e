"""The OpenAPI 3.1 document of our HTTP contract: what iUsed's IT needs to call us, as plain data.

Source: https://spec.openapis.org/oas/v3.1.1. Every example works when it is sent.
"""

from .order_payload import (
    MAX_FAULTS,
    MAX_IDEMPOTENCY_KEY,
    MAX_LINES,
    MAX_NOTE,
    MAX_PRICE,
    MAX_QUANTITY,
    MAX_REFERENCE,
    MAX_TEXT,
)
from .problem import MEDIA_TYPE

JSON = "application/json"
TEXT = {"type": "string"}
EXAMPLE_OFFER = {
    "sku": "IP13-128-MID-A",
    "name": "Apple iPhone 13 128 GB Midnight (grade A)",
    "ean": "0194252707531",
    "stock_available": 3,
    "price_purchase_amount": 279.0,
    "price_consumer_amount": 334.71,
    "currency": "EUR",
}
EXAMPLE_ANSWER = {"external_order_id": "S00042", "order_id": "IU-1001", "status": "confirmed"}


def document(base_url, version, company_name, shipment, offer=None):
    """Return the document.

    :param str base_url: of our routes, without a slash at the end
    :param str version: of the addon
    :param tuple shipment: the method of a shipment update, and its body as an example, with the names of its keys
    :param dict offer: one of the company's offers, for the examples; without it they name a phone that it lacks
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{company_name}: offers and orders for iUsed",
            "version": version,
            "description": "Errors are problem details (RFC 9457). The company follows from the key.",
        },
        "servers": [{"url": base_url}],
        "security": [{"bearer": []}, {"basic": []}, {"header": []}],
        "paths": {
            "/offers": {"get": _get_offers(offer or EXAMPLE_OFFER)},
            "/orders": {method: _push(f"{method}Order", offer or EXAMPLE_OFFER) for method in ("post", "put", "patch")},
            "/orders/{order_id}": {
                "parameters": [
                    {
                        "name": "order_id",
                        "in": "path",
                        "required": True,
                        "description": "iUsed's number of the order; a slash in it is written %2F.",
                        "schema": {"type": "string", "maxLength": MAX_REFERENCE},
                        "example": "IU-1001",
                    }
                ],
                "get": _get_order(),
                **{
                    method: _push(f"{method}OrderById", offer or EXAMPLE_OFFER, named=True)
                    for method in ("put", "patch")
                },
            },
            "/openapi.json": {
                "get": {
                    "operationId": "getOpenapi",
                    "summary": "This document",
                    "responses": {
                        "200": {"description": "This document.", "content": {JSON: {"schema": {"type": "object"}}}},
                        **_not_let_in(),
                    },
                }
            },
        },
        "webhooks": {"shipmentUpdate": {shipment[0].lower(): _shipment_update(shipment[1])}},
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic", "description": "Any user name; the key as password."},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
            "schemas": {
                "Offer": _offer(),
                "Order": _order(),
                "OrderById": _order(required=()),
                "Address": _address(),
                "Line": _line(),
                "Cancellation": _cancellation(("order_id", "status")),
                "CancellationById": _cancellation(("status",)),
                "Answer": _answer(),
                "OrderDetails": _order_details(),
                "Problem": _problem_details(),
            },
        },
    }


def example_order(offer):
    """Return an order in our documented form, of one piece of an offer."""
    return {
        "order_id": "IU-1001",
        "created_at": "2026-11-23T09:00:00+01:00",
        "currency": offer["currency"],
        "customer": {"name": "Sanne de Vries", "email": "sanne@example.com", "phone": "06 12345678"},
        "shipping_address": {
            "name": "Sanne de Vries",
            "street": "Dorpsstraat",
            "house_number": "12",
            "house_number_addition": "A",
            "postal_code": "9711 AB",
            "city": "Groningen",
            "country": "NL",
        },
        "lines": [
            {
                "line_id": "1",
                "sku": offer["sku"],
                "ean": offer["ean"],
                "quantity": 1,
                "price": offer["price_purchase_amount"],
            }
        ],
    }


# -- Operations


def _get_offers(offer):
    return {
        "operationId": "getOffers",
        "summary": "Every published and complete offer; sold-out ones have stock 0",
        "parameters": [
            _parameter("header", "If-None-Match", "The ETag of an earlier answer: an unchanged feed is answered 304."),
            _parameter("query", "format", "JSON, or CSV with semicolons and a heading row.", enum=["json", "csv"]),
            _parameter("query", "locale", "Whose decimal mark CSV uses, such as nl_NL; without it a point."),
            _parameter("query", "limit", "Offers on a page; without it all of them.", "integer", minimum=1),
            _parameter("query", "page", "The page, from 1.", "integer", minimum=1),
        ],
        "responses": {
            "200": {
                "description": "The offers, ordered by SKU; compressed with gzip where that is accepted.",
                "headers": {
                    "ETag": {"schema": {"type": "string"}},
                    "X-Total-Count": {"schema": {"type": "integer"}, "description": "All offers, on whatever page."},
                    "Link": {"schema": {"type": "string"}, "description": "Of pages: first, prev, next, last."},
                },
                "content": {
                    JSON: {"schema": {"type": "array", "items": _reference("Offer")}, "example": [offer]},
                    "text/csv": {"schema": {"type": "string"}},
                },
            },
            "304": {"description": "The feed is as it was."},
            "400": _problem("parameters that cannot be used, each by its name"),
            **_not_let_in(),
        },
    }


def _parameter(place, name, description, kind="string", **schema):
    return {"name": name, "in": place, "description": description, "schema": {"type": kind, **schema}}


def _push(operation, offer, named=False):
    """Return the operation that takes an order.

    :param named: whether the URL names the order, which the body may then leave out
    """
    order = example_order(offer)
    cancellation = {"order_id": order["order_id"], "status": "cancelled"}
    if named:
        order.pop("order_id")
        cancellation.pop("order_id")
    schemas = ("OrderById", "CancellationById") if named else ("Order", "Cancellation")
    answers = {
        status: {
            "description": text,
            "headers": {"Location": {"schema": {"type": "string"}, "description": "Where the order can be read."}},
            "content": {JSON: {"schema": _reference("Answer"), "example": EXAMPLE_ANSWER}},
        }
        for status, text in (
            ("201", "A new order."),
            ("200", "Known already, with its address changed if need be; or cancelled."),
        )
    }
    return {
        "operationId": operation,
        "summary": "Place an order, change its address before it ships, or cancel it",
        "description": (
            "However often an order is pushed, there is one. The names of fields are read in other common spellings"
            " and shapes too."
        ),
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "Needed where the order has no order_id, which then is `key-` and this key.",
                "schema": {"type": "string", "maxLength": MAX_IDEMPOTENCY_KEY},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                JSON: {
                    "schema": {"anyOf": [_reference(name) for name in schemas]},
                    "examples": {
                        "order": {"summary": "An order", "value": order},
                        "cancellation": {"summary": "Its cancellation", "value": cancellation},
                    },
                }
            },
        },
        "responses": {
            **answers,
            "400": _problem("not JSON, or of too many values or too long names, or too long a key"),
            **_not_let_in(),
            "404": _problem("a cancellation of an order that is not known"),
            "409": _problem(
                "known with other lines, a newer address or too many, cancelled, shipped already, or out of stock"
            ),
            "413": _problem("longer than 1 MiB"),
            "415": _problem("another Content-Type than JSON, or a Content-Encoding"),
            "422": _problem("fields that are missing or cannot be read, a SKU not known or offered, another currency"),
        },
    }


def _not_let_in():
    """Return the answers to who is not let in, which are the same on every route."""
    return {
        "401": _problem("no key, or not a valid one"),
        "403": _problem("a good key, from an address that the refurbisher does not list"),
        "429": _problem("too many calls without a valid key from this address; Retry-After says how long to wait"),
    }


def _get_order():
    return {
        "operationId": "getOrder",
        "summary": "What has become of an order",
        "responses": {
            "200": {
                "description": "The order, with what has shipped.",
                "content": {JSON: {"schema": _reference("OrderDetails")}},
            },
            **_not_let_in(),
            "404": _problem("the order is not known"),
        },
    }


def _shipment_update(shipment):
    return {
        "operationId": "shipmentUpdate",
        "summary": "The call that we make for each device that has shipped",
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": True,
                "description": "The same in every try of an update.",
                "schema": {"type": "string", "format": "uuid"},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                JSON: {
                    "schema": {
                        "type": "object",
                        "required": list(shipment),
                        "properties": {
                            name: {"type": "array", "items": TEXT} if isinstance(value, list) else TEXT
                            for name, value in shipment.items()
                        },
                    },
                    "example": shipment,
                }
            },
        },
        "responses": {"2XX": {"description": "Taken in."}},
    }


# -- Schemas


def _reference(name):
    return {"$ref": f"#/components/schemas/{name}"}


def _problem(when):
    return {
        "description": f"Refused: {when}. Nothing was stored.",
        "content": {MEDIA_TYPE: {"schema": _reference("Problem")}},
    }


def _text(description="", limit=MAX_TEXT):
    return {"type": "string", "maxLength": limit} | ({"description": description} if description else {})


def _offer():
    price = {"type": "number", "description": "Excluding VAT."}
    properties = {
        "sku": {"type": "string"},
        "name": {"type": "string"},
        "ean": {"type": "string"},
        "stock_available": {"type": "integer", "minimum": 0},
        "price_purchase_amount": price,
        "price_consumer_amount": price,
        "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
    }
    return {"type": "object", "required": list(properties), "properties": properties}


def _order(required=("order_id",)):
    return {
        "type": "object",
        "required": [*required, "shipping_address", "lines"],
        "properties": {
            "order_id": _text("iUsed's number of the order.", MAX_REFERENCE),
            "created_at": {"type": "string", "format": "date-time"},
            "requested_date": {"type": "string", "format": "date", "description": "When it should arrive."},
            "currency": {"type": "string", "pattern": "^[A-Z]{3}$", "description": "Of the prices."},
            "note": _text(limit=MAX_NOTE),
            "customer": {
                "type": "object",
                "properties": {"name": _text(), "email": _text(), "phone": _text()},
            },
            "shipping_address": _reference("Address"),
            "lines": {"type": "array", "minItems": 1, "maxItems": MAX_LINES, "items": _reference("Line")},
        },
    }


def _address():
    return {
        "type": "object",
        "required": ["name", "street", "postal_code", "city", "country"],
        "properties": {
            "name": _text(),
            "company": _text(),
            "street": _text("With the number, or without it and the number in house_number."),
            "house_number": _text(),
            "house_number_addition": _text(),
            "street2": _text(),
            "postal_code": _text(),
            "city": _text(),
            "state": _text("Code or name."),
            "country": _text("ISO 3166 code, or its name in Dutch, English or German."),
            "phone": _text(),
            "email": _text(),
        },
    }


def _line():
    return {
        "type": "object",
        "required": ["quantity"],
        "anyOf": [{"required": ["sku"]}, {"required": ["ean"]}],
        "properties": {
            "line_id": _text("iUsed's number of the line."),
            "sku": _text("As the offers tell it; counts alone when both are sent."),
            "ean": _text("One that only one product has, zeros in front or not."),
            "quantity": {"type": "integer", "minimum": 1, "maximum": MAX_QUANTITY},
            "price": {
                "type": "number",
                "minimum": 0,
                "exclusiveMaximum": MAX_PRICE,
                "description": "For one piece, excluding VAT. Without it, our offer's price_purchase_amount.",
            },
        },
    }


def _cancellation(required):
    return {
        "type": "object",
        "required": list(required),
        "properties": {
            "order_id": _text("iUsed's number of the order.", MAX_REFERENCE),
            "status": {"type": "string", "const": "cancelled"},
        },
    }


def _answer():
    properties = {
        "external_order_id": {"type": "string", "description": "Our number; shipments are reported by it."},
        "order_id": {"type": "string"},
        "status": {"type": "string", "enum": ["confirmed", "quotation", "cancelled"]},
    }
    return {"type": "object", "required": list(properties), "properties": properties}


def _order_details():
    line = {
        "line_id": {"type": "string"},
        "sku": {"type": "string"},
        "name": {"type": "string"},
        "quantity": {"type": "integer"},
        "quantity_shipped": {"type": "integer"},
        "price": {"type": "number", "description": "For one piece, excluding VAT."},
    }
    shipment = {
        "shipped_at": {"type": "string", "format": "date-time"},
        "carrier": {"type": "string"},
        "track_and_trace": {"type": "string"},
        "serial_numbers": {"type": "array", "items": {"type": "string"}},
    }
    parts = {
        name: {
            "type": "array",
            "items": {"type": "object", "required": list(properties), "properties": properties},
        }
        for name, properties in (("lines", line), ("shipments", shipment))
    }
    return {
        "allOf": [_reference("Answer"), {"type": "object", "required": ["lines", "shipments"], "properties": parts}]
    }


def _problem_details():
    return {
        "type": "object",
        "description": "RFC 9457.",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "errors": {
                "type": "array",
                "maxItems": MAX_FAULTS + 1,
                "description": "The last says how many more there are, where not all are listed.",
                "items": {
                    "type": "object",
                    "required": ["detail"],
                    "properties": {
                        "pointer": {
                            "type": "string",
                            "description": "JSON pointer (RFC 6901) into what was sent; one cut short ends in /….",
                        },
                        "detail": {"type": "string"},
                        "sku": {"type": "string"},
                        "available": {"type": "integer", "description": "Pieces left, where stock is short."},
                    },
                },
            },
        },
    }

{
    "name": "iUsed Connector: a field more",
    "version": "19.0.1.0.0",
    "summary": "An example: tells iUsed the weight of an offer, and who picked a device",
    "author": "iUsed Connector contributors",
    "license": "LGPL-3",
    "depends": ["sale_iused"],
}

"""Odoo's command as a script: with workers Odoo starts its evented process by this path, as `python -m odoo` cannot."""

from odoo.cli.command import main

main()

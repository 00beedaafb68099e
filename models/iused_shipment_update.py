import uuid
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.fields import Domain

VACUUM_BATCH = 10_000  # rows deleted at a time
STATES = [
    ("waiting", "Waiting"),
    ("pending", "To send"),
    ("retry", "To retry"),
    ("stopped", "Stopped"),
    ("sent", "Sent"),
    ("dropped", "Dropped"),
]
FARTHEST_FIRST = ("stopped", "retry", "waiting", "pending", "sent", "dropped")  # from being told


class IusedShipmentUpdate(models.Model):
    """Outbox: one device (or one delivery) that left for a customer of iUsed, until iUsed knows.

    A row is written in the transaction of the delivery, and sent by the scheduled action alone, after commit: iUsed's
    troubles neither block nor slow a validation, and no crash loses an update.
    """

    _name = "iused.shipment.update"
    _description = "iUsed Shipment Update"
    _order = "id desc"
    _rec_name = "serial_number"

    order_id = fields.Many2one("sale.order", required=True, readonly=True, index=True, ondelete="cascade")
    company_id = fields.Many2one("res.company", required=True, readonly=True)
    picking_id = fields.Many2one(
        "stock.picking", string="Delivery", readonly=True, index="btree_not_null", ondelete="set null"
    )
    move_line_id = fields.Many2one("stock.move.line", readonly=True, index="btree_not_null", ondelete="set null")
    product_id = fields.Many2one("product.product", readonly=True, ondelete="restrict")
    grouping = fields.Selection(
        [("device", "One device"), ("delivery", "One delivery")], required=True, readonly=True, default="device"
    )
    pieces = fields.Integer("Devices", required=True, readonly=True, default=1)
    serial_number = fields.Text("Serial Number / IMEI", readonly=True, help="Of several devices: one on each line.")
    tracking_reference = fields.Char(readonly=True)
    event_id = fields.Char(
        required=True,
        readonly=True,
        copy=False,
        default=lambda self: str(uuid.uuid4()),
        help="Sent with every try as Idempotency-Key, so that iUsed can tell a repeat from something new.",
    )
    state = fields.Selection(
        STATES,
        string="Status",
        required=True,
        readonly=True,
        default="waiting",
        copy=False,
    )
    reason = fields.Char(compute="_compute_reason", help="Why iUsed does not know yet, or knows what is not true.")
    attempts = fields.Integer("Tries", readonly=True, copy=False)
    next_try = fields.Datetime(readonly=True, copy=False, default=fields.Datetime.now)
    holds = fields.Boolean(
        "Holds the Company",
        readonly=True,
        copy=False,
        help="iUsed was down at the last try: until the next one nothing of the company is sent.",
    )
    last_answer = fields.Char(readonly=True, copy=False)
    sent_at = fields.Datetime("Sent", readonly=True, copy=False)
    drop_reason = fields.Char(readonly=True, copy=False)
    blame = fields.Integer(
        readonly=True,
        copy=False,
        help="1 where iUsed's answer may mean that it shuts the company out, 2 where it means this update alone.",
    )
    # What iUsed may have taken in at the first try is what is repeated: a repeat with another body would be no repeat.
    body = fields.Text(readonly=True, copy=False, groups="sale_iused.group_iused_manager")
    is_correction = fields.Boolean("Correction", readonly=True, copy=False)
    did_not_leave = fields.Text(
        readonly=True,
        copy=False,
        help="Serial numbers that iUsed was told of, or may have been, and that were taken off the delivery then.",
    )
    corrects_id = fields.Many2one(
        "iused.shipment.update",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
    )
    correction_ids = fields.One2many("iused.shipment.update", "corrects_id", readonly=True, string="Corrected by")
    waited_too_long = fields.Boolean(readonly=True, copy=False, help="Somebody was told that it waits.")
    exchange_ids = fields.One2many("iused.exchange", "update_id", string="Attempts", readonly=True)

    _event_unique = models.UniqueIndex("(event_id)", "Two shipment updates cannot be the same event.")
    _due_index = models.Index("(company_id, id) WHERE state IN ('pending', 'retry')")
    # Lists of serial numbers can be longer than an index takes.
    _serial_index = models.Index("(serial_number) WHERE grouping = 'device'")
    _waiting_index = models.Index("(company_id, create_date) WHERE state = 'waiting'")

    @api.depends(
        "state", "serial_number", "tracking_reference", "last_answer", "drop_reason", "did_not_leave", "company_id"
    )
    def _compute_reason(self):
        for update in self:
            update.reason = update._describe_trouble()

    @api.depends("serial_number", "order_id")
    def _compute_display_name(self):
        for update in self:
            update.display_name = update.serial_number or update.order_id.name

    def _describe_trouble(self):
        """Return in words why iUsed does not know of this device yet, or False when nothing is wrong."""
        self.ensure_one()
        if self.state == "dropped":
            return self.drop_reason
        if self.state == "sent" and self.did_not_leave:
            return self.env._("iUsed was told of what did not leave: %s", ", ".join(self.did_not_leave.splitlines()))
        if self.state in ("retry", "stopped"):
            return self.last_answer
        if self.state == "waiting" and not self._has_serials():
            return self.env._("There is no serial number.")
        if self.state == "waiting":
            return self.env._("There is no tracking reference yet.")
        if self.state == "pending" and not self.company_id.iused_webhook_is_set:
            return self.env._("The iUsed webhook URL is not set.")
        if self.state == "pending" and self.company_id.iused_webhook_is_lost:
            return self.env._("The webhook's address cannot be read any more: enter it again.")
        if self.state == "pending" and self.company_id.iused_sending_stopped:
            return self.env._("Sending was stopped: %s", self.company_id.iused_sending_stopped)
        return False

    def _has_serials(self):
        """Tell whether each device has its serial number."""
        return len(self._serials()) == self.pieces

    def _serials(self):
        """Return the serial numbers, a list of str."""
        return (self.serial_number or "").splitlines()

    # Filling the outbox ----------------------------------------------------------------------------------------------

    @api.model
    def _enqueue(self, move_lines, pieces=None):
        """Write the updates of devices that left, as the company wants them: one for each, or one for a delivery.

        :param move_lines: done `stock.move.line` of iUsed orders
        :param dict pieces: of a line, how many of its devices to tell of; all by default
        """
        values = []
        for (order, picking), lines in move_lines.grouped(
            lambda line: (line.move_id.sale_line_id.order_id, line.move_id.picking_id)
        ).items():
            common = {
                "order_id": order.id,
                "picking_id": picking.id,
                "tracking_reference": picking.carrier_tracking_ref or False,
                "grouping": order.company_id.iused_grouping,
            }
            devices = [
                (line, serial) for line in lines for serial in line._iused_serials()[: pieces[line] if pieces else None]
            ]
            if order.company_id.iused_grouping == "delivery":
                serials = "\n".join(serial for _line, serial in devices if serial)
                values.append({**common, "pieces": len(devices), "serial_number": serials or False})
            else:
                values += [
                    {**common, "move_line_id": line.id, "product_id": line.product_id.id, "serial_number": serial}
                    for line, serial in devices
                ]
        return self.create([value for value in values if value.get("pieces", 1)])

    @api.model_create_multi
    def create(self, vals_list):
        """Let what has all it needs be sent, in the very statement that writes it: a validation waits for this.

        The company is always the order's.
        """
        for values in vals_list:
            values["company_id"] = self.env["sale.order"].browse(values["order_id"]).company_id.id
            serials = (values.get("serial_number") or "").splitlines()
            if values.get("tracking_reference") and len(serials) == values.get("pieces", 1):
                values.setdefault("state", "pending")
        updates = super().create(vals_list)
        if "pending" in {values.get("state") for values in vals_list}:
            self.env["iused.shipment.sender"]._trigger()
        return updates

    def _release_complete(self):
        """Let the waiting updates that have all they need be sent."""
        complete = self.filtered(lambda u: u.state == "waiting" and u.tracking_reference and u._has_serials())
        if complete:
            complete.write({"state": "pending", "next_try": fields.Datetime.now()})
            self.env["iused.shipment.sender"]._trigger()

    # Keeping up with the warehouse -----------------------------------------------------------------------------------

    def _find_live(self):
        """Return the updates of these that stand for their devices: neither dropped nor followed by a correction."""
        return self.filtered(lambda update: update.state != "dropped" and not update.correction_ids)

    def _refresh(self):
        """Take over what changed in a delivery after the goods left: serial numbers, tracking reference, devices.

        What iUsed was not told yet changes in place, or is dropped with its devices. What it was told, or may have
        been, is followed by a correction; that a device did not leave is told to a person.
        """
        candidates = self._find_live()
        # A row that is being sent at this moment is locked: nobody waits for it, it is corrected.
        free = candidates.try_lock_for_update()
        marked = self.filtered("did_not_leave")
        stayed = (candidates | marked)._find_stayed()
        (marked - stayed)._put_back()
        for update in stayed & candidates:
            update._take_back(update in free)
        for update in candidates - stayed:
            values = update._current_values()
            if any(update[name] != value for name, value in values.items()):
                update._take_over(values, update in free)
        candidates._release_complete()

    def _take_over(self, values, free):
        """Change to how the delivery is by now, or follow this update with one that does.

        :param dict values: those of `_current_values`
        :param bool free: whether nobody is sending this one
        """
        self.ensure_one()
        known = self._find_known(free)
        left = set((values["serial_number"] or "").splitlines())
        stayed = set(known._serials()) - left if values["pieces"] < self.pieces else set()
        trace = known if free else self.browse()  # what is being sent cannot be written now
        if free and self.state in ("waiting", "pending") and not self.body:
            self.write({**values, "state": "waiting", "next_try": fields.Datetime.now()})
        elif all(values.values()):
            follower = self._correct(values, free)
            trace = trace or follower
        if stayed and trace:
            trace._mark_stayed(stayed)

    def _current_values(self):
        """Return serial number, tracking reference and devices as the delivery has them; what was typed here stays."""
        self.ensure_one()
        serials = [serial for line in self._move_lines() for serial in line._iused_serials()]
        if self.grouping == "device" and len(serials) > 1:
            serials = [None]  # pieces of a product without serial numbers
        tracking = self.picking_id.carrier_tracking_ref
        if not tracking and (self.attempts or self.body or not self.picking_id):
            tracking = self.tracking_reference  # what was told is not untold by an empty field
        return {
            "serial_number": "\n".join(serials) if serials and all(serials) else self.serial_number,
            "tracking_reference": tracking,
            "pieces": self.pieces if self.grouping == "device" else len(serials),
        }

    def _move_lines(self):
        """Return the move lines that this update tells of."""
        self.ensure_one()
        if self.grouping == "device":
            return self.move_line_id
        moves = self.picking_id.move_ids.filtered(lambda move: move.sale_line_id.order_id == self.order_id)
        return moves._iused_leaving().move_line_ids

    def _may_be_known(self):
        """Tell whether iUsed knows of this update, or may, as an answer can be lost."""
        self.ensure_one()
        return self.state == "sent" or bool(self.body)

    def _find_known(self, free):
        """Return the last update of these devices that iUsed knows, or may know, up to this one; none if there is none.

        :param bool free: whether nobody is sending this one
        """
        update = self
        while update and free and not update._may_be_known():
            update = update.corrects_id
        return update

    def _find_back(self):
        """Return the updates of these whose devices have all come back from the customer."""
        lines = {update: update._move_lines().filtered(lambda line: line._iused_serials()) for update in self}
        back = self.env["stock.move.line"].union(*lines.values())._iused_came_back()
        return self.filtered(lambda update: lines[update] and lines[update] <= back)

    def _correct(self, values, free):
        """Write an update that follows this one; one that cannot be on its way any more is dropped.

        :param dict values: those of `_current_values`
        :param bool free: whether nobody is sending this one
        :return: the update that follows
        """
        self.ensure_one()
        told = not free or self._may_be_known() or self.is_correction
        if free and self.state != "sent":
            self._drop(self.env._("Serial number or tracking changed; a later update tells it."))
        return self.copy({**values, "corrects_id": self.id, "is_correction": told})

    def _find_stayed(self):
        """Return the updates of these whose devices were all taken off their delivery.

        Of several that tell of one line, they are those that iUsed knows the least of.
        """
        stayed = self.filtered(lambda update: update.grouping == "delivery" and update.picking_id).filtered(
            lambda update: not any(line._iused_serials() for line in update._move_lines())
        )
        for line, updates in self.filtered("move_line_id").grouped("move_line_id").items():
            known_first = updates.sorted(
                lambda update: (update._may_be_known(), bool(update.serial_number), -update.id), reverse=True
            )
            stayed |= known_first[round(line.quantity_product_uom) :]
        return stayed

    def _take_back(self, free):
        """Give up an update of devices that did not leave; what iUsed knows of them is told to a person.

        :param bool free: whether nobody is sending it
        """
        self.ensure_one()
        trace = known = self._find_known(free)
        reason = self.env._("It was taken off the delivery.")
        if not free:  # it cannot be written now: another row keeps the trace
            trace = self.copy(
                {"corrects_id": self.id, "is_correction": True, "state": "dropped", "drop_reason": reason}
            )
        elif self.state != "sent":
            self._drop(reason)
        if known:
            trace._mark_stayed(set(known._serials()))

    def _put_back(self):
        """Forget that devices did not leave which are on their delivery again."""
        for update in self:
            stayed = set(update.did_not_leave.splitlines()) if update.grouping == "delivery" else set()
            left = {serial for line in update._move_lines() for serial in line._iused_serials()}
            update._mark_stayed(stayed - left)

    def _mark_stayed(self, serials):
        """Keep which devices iUsed was told of in vain, and tell who is responsible; tell too when there are none left.

        :param set serials: their serial numbers
        """
        self.ensure_one()
        text = "\n".join(sorted(serials)) or False
        if self.did_not_leave == text:
            return
        self.did_not_leave = text
        troubles = self.env["iused.trouble"]
        texts = self.order_id.iused_update_ids.filtered("did_not_leave").mapped("did_not_leave")
        if texts:
            troubles._tell_anew(
                "device_stayed",
                self.order_id,
                lambda env: (
                    env._("iUsed was told of a device that did not leave"),
                    env._("Tell iUsed. These were reported, and then taken off the delivery:\n%s", "\n".join(texts)),
                ),
            )
        else:
            troubles._tell_over("device_stayed", self.order_id, lambda env: env._("It left after all."))

    def _drop(self, reason):
        """Give up updates that iUsed does not know of, keeping the rows as trace."""
        self.write({"state": "dropped", "drop_reason": reason, "next_try": False, "holds": False})

    def _type_serial(self, serials):
        """Take the serial numbers that a person typed for devices whose product has none.

        :param str serials: one on each line
        :raises UserError: when there are not as many as devices
        """
        self.ensure_one()
        self._check_may_ask()
        typed = "\n".join(serials.split())
        # Nobody may write the outbox by hand; this is one of the few things that may be asked of it.
        update_sudo = self.sudo().try_lock_for_update()
        if not update_sudo or update_sudo.state != "waiting":
            raise UserError(self.env._("This update does not wait for a serial number."))
        if len(typed.split("\n")) != self.pieces or not typed:
            raise UserError(self.env._("Type %s serial numbers, one on each line.", self.pieces))
        update_sudo.serial_number = typed
        update_sudo._release_complete()

    # What people may ask ---------------------------------------------------------------------------------------------

    def _check_may_ask(self):
        """:raises AccessError: for who has nothing to do with deliveries or sales, or does not see the updates"""
        if not self.env.user.has_group("sale_iused.group_iused_user"):
            raise AccessError(self.env._("Only warehouse, sales and iUsed users can do this."))
        self.check_access("read")

    def action_send_now(self):
        """Try the selected updates again at once. They are sent by the scheduled action, as always."""
        self._check_may_ask()
        # Nobody may write the outbox by hand; this is one of the few things that may be asked of it. What is locked is
        # being sent at this moment.
        updates_sudo = self.sudo().filtered(lambda u: u.state in ("pending", "retry", "stopped")).try_lock_for_update()
        # What stopped may have been mended by other settings: its body is made anew.
        updates_sudo.filtered(lambda update: update.state == "stopped").body = False
        updates_sudo.write({"state": "pending", "attempts": 0, "next_try": fields.Datetime.now(), "holds": False})
        self.env["iused.shipment.sender"]._lift_holds(updates_sudo.company_id)
        self.env["iused.shipment.sender"]._trigger()

    def action_drop(self):
        """Give up the selected updates: iUsed will not be told."""
        self._check_may_ask()
        updates_sudo = self.sudo().filtered(lambda u: u.state not in ("sent", "dropped")).try_lock_for_update()
        updates_sudo._drop(self.env._("Dropped by %s.", self.env.user.name))

    def action_type_serial(self):
        """Ask for the serial numbers of devices whose product has none."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Serial Number"),
            "res_model": "iused.shipment.serial",
            "views": [(False, "form")],
            "target": "new",
            "context": {"default_update_id": self.id},
        }

    # What iUsed is told ----------------------------------------------------------------------------------------------

    def _prepare_body(self):
        """Return what iUsed is told: the guide's "Required fields in the JSON body", under the company's names."""
        self.ensure_one()
        company = self.company_id
        serials = self._serials()
        body = {
            company.iused_key_serial: serials if self.grouping == "delivery" else serials[0],
            company.iused_key_tracking: self.tracking_reference,
            company.iused_key_order: self.order_id.name,
        }
        return {**body, **self._prepare_extra()} if company.iused_extra_keys else body

    @api.model
    def _prepare_example(self, company):
        """Return a body as `_prepare_body` makes them, for the document of our contract."""
        serial = "356938035643809"
        return {
            company.iused_key_serial: [serial] if company.iused_grouping == "delivery" else serial,
            company.iused_key_tracking: "3SABC123",
            company.iused_key_order: "S00042",
        }

    def _prepare_extra(self):
        """Return the optional keys; `sku` and `line_id` are lists where the serial numbers are one."""
        self.ensure_one()
        picking = self.picking_id
        lines = [line.move_id.sale_line_id for line in self._move_lines() for _serial in line._iused_serials()]
        skus = [line.product_id.default_code or None for line in lines]
        references = [line.iused_line_reference or None for line in lines]
        one = self.grouping == "device"
        extra = {
            "carrier": picking.carrier_id.name or None,
            "tracking_link": picking.carrier_tracking_url or None,
            "sku": (skus or [None])[0] if one else skus,
            "line_id": (references or [None])[0] if one else references,
            "shipped_at": f"{(picking.date_done or self.create_date).isoformat(timespec='seconds')}Z",
        }
        if self.is_correction:
            extra["corrects"] = self.corrects_id.event_id or True
        return extra

    # Telling people --------------------------------------------------------------------------------------------------

    def _tell(self, kind, compose):
        """Tell of a trouble, once for each order; parameters as in `iused.trouble._tell`."""
        for order in self.order_id:
            self.env["iused.trouble"]._tell(kind, order, compose)

    @api.model
    def _cron_watch_waiting(self):
        """Tell of what waits for a serial number or tracking longer than its company allows: once for each order."""
        watched = Domain("iused_user_id", "!=", False) & Domain("iused_waiting_hours", ">", 0)
        for company in self.env["res.company"].search(watched):
            before = fields.Datetime.now() - timedelta(hours=company.iused_waiting_hours)
            late = self.search(
                [
                    ("company_id", "=", company.id),
                    ("state", "=", "waiting"),
                    ("create_date", "<", before),
                    ("waited_too_long", "=", False),
                ]
            )
            for updates in late.grouped("order_id").values():
                updates._tell(
                    "update_waits",
                    lambda env, updates=updates: (
                        env._("iUsed waits for a shipment update"),
                        " ".join(sorted({update._describe_trouble() for update in updates.with_env(env)})),
                    ),
                )
            late.waited_too_long = True

    @api.autovacuum
    def _gc_told(self):
        """Delete what was sent or dropped longer ago than the company's retention; what is still to be told, never."""
        for (company,) in self._read_group([("state", "in", ("sent", "dropped"))], ["company_id"]):
            before = fields.Datetime.now() - timedelta(days=company.iused_retention_days)
            old = self.search(
                [
                    ("company_id", "=", company.id),
                    ("state", "in", ("sent", "dropped")),
                    ("write_date", "<", before),
                ],
                limit=VACUUM_BATCH,
            )
            old.unlink()
            if len(old) == VACUUM_BATCH:
                self.env.ref("base.autovacuum_job")._trigger()

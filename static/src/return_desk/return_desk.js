import { Component, onMounted, onWillStart, useExternalListener, useRef, useState } from "@odoo/owl";
import { _t } from "@web/core/l10n/translation";
import { RPCError } from "@web/core/network/rpc";
import { registry } from "@web/core/registry";
import { Mutex } from "@web/core/utils/concurrency";
import { useService } from "@web/core/utils/hooks";
import { ControlPanel } from "@web/search/control_panel/control_panel";
import { standardActionServiceProps } from "@web/webclient/actions/action_service";

const NOTHING = {
    number: "", // what was scanned last
    devices: [],
    more: 0,
    device: null,
    place: null,
    note: "",
    step: "number", // "number", then for an exchange: "replacement", "tracking", "exchange"
    replacement: "",
    tracking: "",
};

/**
 * Devices are taken back here, by a keyboard scanner alone if need be: all that is typed or scanned goes through one
 * field. All words and decisions about devices come from the server.
 */
export class IusedReturnDesk extends Component {
    static template = "sale_iused.ReturnDesk";
    static components = { ControlPanel };
    static props = { ...standardActionServiceProps };

    setup() {
        this.orm = useService("orm");
        this.action = useService("action");
        this.root = useRef("root");
        this.input = useRef("input");
        this.mutex = new Mutex(); // a scanner does not wait for answers
        this.state = useState({ ...NOTHING, desk: null, reason: null, message: null, barcodes: {} });
        onWillStart(() => this.load());
        onMounted(() => this.input.el.focus());
        useExternalListener(document, "keydown", (ev) => this.onKeydown(ev));
    }

    async load() {
        this.state.desk = await this.orm.call("iused.return.desk", "get_desk", []);
    }

    get canTakeBack() {
        const { desk, device } = this.state;
        return Boolean(device && desk.may_return && !device.is_back);
    }

    get prompt() {
        const { step, device, devices } = this.state;
        if (step === "replacement") {
            return _t("Scan the replacement");
        }
        if (step === "tracking") {
            return _t("Scan or type its tracking reference; Enter without one");
        }
        if (step === "exchange") {
            return _t("Enter exchanges it");
        }
        if (this.canTakeBack) {
            return _t("Enter takes it back");
        }
        return devices.length && !device
            ? _t("Which one? Type its number, or scan the device")
            : _t("Scan or type an IMEI, a serial number or an order number");
    }

    /** The codes that can be scanned instead of typed, with what they mean. */
    get codes() {
        const places = this.state.device?.places.map((place, index) => [this.letter(index), place.name]) || [];
        return [
            ...this.state.desk.reasons.map((reason, index) => [`${index + 1}`, reason.name]),
            ...places,
            ["X", _t("Exchange")],
            ["OK", _t("Take back")],
        ];
    }

    /** Draw the codes once somebody wants to see them. */
    async showCodes(ev) {
        if (ev.target.open) {
            const codes = this.codes.map(([code]) => code);
            this.state.barcodes = await this.orm.call("iused.return.desk", "get_barcodes", [codes]);
        }
    }

    letter(index) {
        return String.fromCharCode(65 + index);
    }

    /** Whatever is typed while nothing else has the focus belongs into the field. */
    onKeydown(ev) {
        const active = document.activeElement;
        const isElsewhere = active !== document.body && !this.root.el.contains(active);
        if (isElsewhere || active.matches("input, textarea")) {
            return;
        }
        if (ev.key.length === 1 && !ev.ctrlKey && !ev.metaKey && !ev.altKey) {
            this.input.el.focus();
        }
    }

    onInputKeydown(ev) {
        if (ev.key === "Enter") {
            const text = ev.target.value.trim();
            ev.target.value = "";
            ev.preventDefault();
            this.mutex.exec(() => this.enter(text));
        } else if (ev.key === "Escape") {
            ev.target.value = "";
            this.reset();
        }
    }

    reset(message = null) {
        Object.assign(this.state, NOTHING, { message });
        this.input.el.focus();
    }

    /** Do what was typed or scanned. */
    async enter(text) {
        const { step, device } = this.state;
        const isOk = !text || text.toUpperCase() === "OK";
        if (step === "replacement") {
            if (text.toUpperCase() === "X") {
                this.state.step = "number"; // no exchange after all
            } else if (!isOk) {
                Object.assign(this.state, { replacement: text, step: "tracking" });
            }
        } else if (step === "tracking") {
            Object.assign(this.state, { tracking: isOk ? "" : text, step: "exchange" });
        } else if (isOk) {
            if (device) {
                await this.confirm();
            }
        } else if (!this.choose(text)) {
            await this.lookUp(text);
        }
        this.input.el.focus();
    }

    /** Choose by a number or a letter; return whether it meant anything here. */
    choose(text) {
        const { desk, device, devices } = this.state;
        if (!device) {
            const chosen = /^\d{1,2}$/.test(text) && devices[Number(text) - 1];
            return Boolean(chosen && (this.select(chosen), true));
        }
        if (text.toUpperCase() === "X" && desk.may_return) {
            this.exchange();
            return true;
        }
        const reason = /^[1-9]$/.test(text) && desk.reasons[Number(text) - 1];
        const place = /^[A-W]$/i.test(text) && device.places[text.toUpperCase().charCodeAt(0) - 65];
        if (reason) {
            this.state.reason = reason.id;
        } else if (place) {
            this.state.place = place.key;
        }
        return Boolean(reason || place);
    }

    select(device) {
        Object.assign(this.state, { device, place: device.places[0]?.key, step: "number" });
        this.input.el.focus();
    }

    exchange() {
        Object.assign(this.state, { step: "replacement", replacement: "", tracking: "" });
        this.input.el.focus();
    }

    async lookUp(number) {
        this.reset();
        this.state.number = number;
        const found = await this.ask("look_up", number);
        if (!found) {
            return;
        }
        Object.assign(this.state, { devices: found.devices, more: found.more, reason: this.state.desk.reasons[0]?.id });
        this.state.message = found.trouble && { kind: "danger", text: found.trouble };
        if (found.devices.length === 1) {
            this.select(found.devices[0]);
        }
    }

    async confirm() {
        const { device, reason, place, note, step, replacement, tracking } = this.state;
        const isExchange = step === "exchange";
        if (!isExchange && !this.canTakeBack) {
            return;
        }
        const which = [device.line_id, device.piece, reason, place];
        const done = isExchange
            ? await this.ask("exchange", ...which, replacement, tracking, note)
            : await this.ask("take_back", ...which, note);
        if (done) {
            this.reset({ kind: "success", text: done.text, picking: done.picking_id });
        } else if (isExchange) {
            this.state.step = "replacement";
        }
    }

    /**
     * Ask the server; what it refuses is said on the page, as a dialog would take the focus away.
     *
     * @returns {Promise<Object | null>} nothing where it refused
     */
    async ask(method, ...args) {
        try {
            return await this.orm.call("iused.return.desk", method, args);
        } catch (error) {
            if (!(error instanceof RPCError) || !error.exceptionName?.startsWith("odoo.exceptions.")) {
                throw error;
            }
            this.state.message = { kind: "danger", text: error.data.message };
            return null;
        }
    }

    async makeQuarantine() {
        await this.orm.call("iused.return.desk", "make_quarantine", []);
        await this.load();
        if (this.state.number) {
            await this.mutex.exec(() => this.lookUp(this.state.number));
        }
        this.input.el.focus();
    }

    openPicking() {
        this.action.doAction({
            type: "ir.actions.act_window",
            res_model: "stock.picking",
            res_id: this.state.message.picking,
            views: [[false, "form"]],
        });
    }

    openReturns() {
        this.action.doAction("sale_iused.iused_return_action");
    }
}

registry.category("actions").add("iused_return_desk", IusedReturnDesk);

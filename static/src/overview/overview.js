import { Component, onWillStart, useState } from "@odoo/owl";
import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { useService } from "@web/core/utils/hooks";
import { ControlPanel } from "@web/search/control_panel/control_panel";
import { standardActionServiceProps } from "@web/webclient/actions/action_service";

/** How the current company and iUsed get on. All words and decisions come from the server. */
export class IusedOverview extends Component {
    static template = "sale_iused.Overview";
    static components = { ControlPanel };
    static props = { ...standardActionServiceProps };

    setup() {
        this.orm = useService("orm");
        this.action = useService("action");
        this.state = useState({ page: null });
        onWillStart(() => this.load());
    }

    get doneLabel() {
        return _t("Done");
    }

    get openLabel() {
        return _t("To do");
    }

    get troubleLabel() {
        return _t("Trouble");
    }

    /** The step whose button stands out. */
    get nextStep() {
        return this.state.page.steps.find((step) => !step.done && step.door)?.name;
    }

    async load() {
        this.state.page = await this.orm.call("iused.overview", "get_overview", []);
    }

    /**
     * Open what is behind a button or a number.
     *
     * @param {string} door its name on the server
     */
    async open(door) {
        const action = await this.orm.call("iused.overview", "open_door", [door]);
        await this.action.doAction(action, { onClose: () => this.load() });
    }
}

registry.category("actions").add("iused_overview", IusedOverview);

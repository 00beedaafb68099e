import { registry } from "@web/core/registry";

/** A warehouse user validates a delivery and sees what iUsed knows of it. Starts on the delivery. */
registry.category("web_tour.tours").add("iused_delivery", {
    steps: () => [
        {
            content: "Nothing is told before the goods leave",
            trigger: ".o_form_view:not(:has([name='iused_state'] .badge))",
        },
        {
            content: "Open the tab with the tracking reference",
            trigger: ".o_notebook .nav-link[name='extra']",
            run: "click",
        },
        {
            content: "Type the tracking reference",
            trigger: "[name='carrier_tracking_ref'] input",
            run: "edit 3STOUR",
        },
        {
            content: "Validate",
            trigger: "button[name='button_validate']:enabled",
            run: "click",
        },
        {
            content: "The update is on its way",
            trigger: "[name='iused_state'] .badge:contains('To send')",
        },
    ],
});

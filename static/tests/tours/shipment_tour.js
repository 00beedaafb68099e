import { registry } from "@web/core/registry";

/** An order is delivered without its tracking number, which is typed afterwards. Starts on the list of orders. */
registry.category("web_tour.tours").add("iused_late_tracking", {
    steps: () => [
        {
            content: "Open the order by iUsed's reference",
            trigger: ".o_data_row:contains('IU-TOUR') .o_data_cell[name='name']",
            run: "click",
        },
        {
            content: "Open its delivery",
            trigger: "button[name='action_view_delivery']",
            run: "click",
        },
        {
            content: "iUsed will miss the tracking number",
            trigger: ".alert:contains('What iUsed will miss')",
        },
        {
            content: "Validate nevertheless",
            trigger: "button[name='button_validate']:enabled",
            run: "click",
        },
        {
            content: "iUsed is not told before the tracking number is there",
            trigger: "[name='iused_state'] .badge:contains('Waiting')",
        },
        {
            content: "Open the tab with the tracking number",
            trigger: ".o_notebook .nav-link[name='extra']",
            run: "click",
        },
        {
            content: "Type it",
            trigger: "[name='carrier_tracking_ref'] input",
            run: "edit 3SLATE",
        },
        {
            content: "Save",
            trigger: ".o_form_button_save",
            run: "click",
        },
        {
            content: "Now iUsed is told",
            trigger: ".o_form_saved [name='iused_state'] .badge:contains('To send')",
        },
    ],
});

/** A warehouse user reads why an update stopped, and sends it again. Starts on the list of updates. */
registry.category("web_tour.tours").add("iused_resume_stopped", {
    steps: () => [
        {
            content: "Open the update that stopped",
            trigger: ".o_data_row:has([name='state'] .badge:contains('Stopped')) .o_data_cell[name='serial_number']",
            run: "click",
        },
        {
            content: "It says what iUsed answered",
            trigger: ".o_form_view .alert:contains('422')",
        },
        {
            content: "Send it again",
            trigger: "button[name='action_send_now']",
            run: "click",
        },
        {
            content: "It is on its way",
            trigger: ".o_statusbar_status .o_arrow_button_current:contains('To send')",
        },
    ],
});

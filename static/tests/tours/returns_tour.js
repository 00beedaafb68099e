import { registry } from "@web/core/registry";

const FIELD = "#iused_return_input:focus"; // it always has the focus

/** What a keyboard scanner does: a code, key by key, then Enter. */
function scan(content, code) {
    return {
        content,
        trigger: FIELD,
        async run(helpers) {
            for (const key of code) {
                await helpers.press(/[A-Z]/.test(key) ? `Shift+${key}` : key);
            }
            await helpers.press("Enter");
        },
    };
}

/** The returns desk, by key events alone: nothing is clicked. Starts on the desk. */
registry.category("web_tour.tours").add("iused_returns_desk", {
    steps: () => [
        scan("A device that never was sold", "356938035643809"),
        {
            content: "That is said in words",
            trigger: ".o_iused_message[data-kind='danger']:contains('never sold to iUsed')",
        },
        scan("The order of two devices", "IU-DESK-2"),
        {
            content: "It asks which one",
            trigger: ".o_iused_devices li:nth-child(2)",
        },
        scan("The second", "2"),
        {
            content: "It says what the terms are",
            trigger: ".o_iused_device:has(.o_iused_terms:contains('withdrawal'))",
        },
        scan("Another reason", "2"),
        {
            content: "It is chosen",
            trigger: ".o_iused_reasons .active:contains('Defect')",
        },
        {
            content: "Quarantine is proposed, where there is one",
            trigger: ".o_iused_places .active:contains('Quarantine')",
        },
        scan("The stock", "B"),
        {
            content: "It is chosen",
            trigger: ".o_iused_places .active:contains('Stock')",
        },
        scan("Quarantine after all", "A"),
        scan("Take it back", ""),
        {
            content: "It says where it went",
            trigger: ".o_iused_message[data-kind='success']:contains('Quarantine')",
        },
        scan("A device by its IMEI", "356938041000002"),
        {
            content: "It is there",
            trigger: ".o_iused_device[data-serial='356938041000002']",
        },
        scan("Exchange it", "X"),
        {
            content: "It asks for the other one",
            trigger: "main[data-step='replacement']",
        },
        scan("Not after all", "X"),
        {
            content: "It would be taken back again",
            trigger: "main[data-step='number'] .o_iused_confirm",
        },
        scan("Exchange it all the same", "X"),
        scan("One that is not there", "356938035643809"),
        scan("Its tracking reference", "3SNO"),
        scan("Do it", ""),
        {
            content: "It is refused in words, and asked for again",
            trigger: "main[data-step='replacement'] .o_iused_message[data-kind='danger']:contains('same product')",
        },
        scan("The other one", "356938041000010"),
        {
            content: "It asks for the tracking reference",
            trigger: "main[data-step='tracking']",
        },
        scan("The tracking reference", "3SEXCHANGE"),
        {
            content: "Both are shown",
            trigger: "main[data-step='exchange'] .o_iused_exchange:contains('3SEXCHANGE')",
        },
        scan("Do it", "OK"),
        {
            content: "It left",
            trigger: ".o_iused_message[data-kind='success']:contains('356938041000010 left in its place')",
        },
        scan("The first device again", "356938041000002"),
        {
            content: "It came back already, that is shown",
            trigger: ".o_iused_device:has(.o_iused_is_back):contains('exchanged for 356938041000010')",
        },
        scan("Enter takes nothing back twice", ""),
        {
            content: "Nothing happened",
            trigger: "main:not(:has(.o_iused_message)) .o_iused_is_back",
        },
        {
            content: "Away from it",
            trigger: FIELD,
            run: "press Escape",
        },
        {
            content: "The desk waits for the next one",
            trigger: ".o_iused_return_desk:not(:has(.o_iused_device))",
        },
    ],
});

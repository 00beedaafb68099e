/** The steps by which an administrator confirms who they are. */
export const confirmIdentity = [
    {
        content: "Confirm who you are",
        trigger: ".modal [name='password'] input",
        run: "edit admin",
    },
    {
        content: "Go on",
        trigger: ".modal button[name='run_check']",
        run: "click",
    },
];

/** The last step with a new token. */
export const closeToken = {
    content: "Close it",
    trigger: ".modal footer button:contains('I have copied it')",
    run: "click",
};

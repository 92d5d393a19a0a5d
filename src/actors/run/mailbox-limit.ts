/** Commands that may wait for one run at a time. */
export const mailboxLimit = 65_536

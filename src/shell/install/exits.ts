// Exit codes of `quorate install`: install.sh's own (engineering.md §13 I18).

export const installExits = { machine: 1, usage: 2, verification: 4, service: 5 } as const;

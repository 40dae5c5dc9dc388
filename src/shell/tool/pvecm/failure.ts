// How pvecm ends early (pvecm.md §1.0): one sentence and 255, as Perl's die.

export const exitDied = 255;

"""What people may ask of a school about themselves: all that is kept of them, and that it goes; and what goes by age.

`erasing` removes and purges, `proof` searches the file for what is left, `exporting` gives out, `retention` is the
chore. The mailboxes at Microsoft are the school's own: nothing here touches them.
"""

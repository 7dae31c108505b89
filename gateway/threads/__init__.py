"""Which mail belongs to which thread, how it gets there, and how people see it.

`pull` follows the watched folders, `sift` finds out what of their mail is ours, `matching` and `kinds` decide (pure),
`keep` writes it down in one transaction (`incoming`, `outgoing` and `storing` are its parts), `views` and `html`
show it.
"""

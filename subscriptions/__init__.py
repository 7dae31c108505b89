"""Graph subscriptions: what each needs next (`plan`), who carries that out (`keeper`), and notifications let in.

A notification is a hint and nothing more: `notifications` reads it, `receiver` judges and keeps it. Stands on
`storage`; what it needs of Graph it says itself, in `graph`.
"""

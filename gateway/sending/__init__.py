"""Letters out: taken in once, sent once, followed until they are seen in Sent Items.

`accept` takes a letter in, `worker` claims what is due and `carry` takes it through its steps, `commits` are their
transactions. What follows what is decided in `machine`, what an error means in `errors`, what a letter looks like to
Graph in `draft`; `looking` and `recognise` find it again.
"""

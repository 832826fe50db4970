"""The child process that records revisions: it runs them on a stand-in for a driver's connection.

Nothing here talks to a database. `reasons`, `unread`, `tape` say what is kept and what makes a step
live; `handshake`, `postgresql`, `mysql`, `dialects`, `connection` are the stand-in, from the wire
up; `guards`, `swallowed`, `transactions`, `steady` see to what a recording cannot show by itself;
`step` runs one revision; `messages` and `child` talk to the parent (`children`, and
`revisions/compile.py` above it).
"""

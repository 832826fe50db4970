"""The DBA's bundle: a plan as scripts for plain clients, with all that is needed to run them.

Enters: a Plan, and the way back.  Leaves: the files of a folder.  No I/O.
"""

"""What a department sees and does about its own connectors: their state, what they have set aside, reading again.

Nobody else is asked: a source's memory lies in its state folder, a sink's in the department's database, the faults log
in a topic that only the department reads. The broker service is asked for the grant of a sink alone.
"""

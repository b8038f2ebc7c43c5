"""Pure decisions: what an event is, when two are equal, how three versions become one."""

"""When the sync runs: the arq worker, its schedules, and the loop that drains the queue."""

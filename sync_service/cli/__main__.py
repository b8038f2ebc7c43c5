"""`python -m sync_service.cli`, for processes that cannot rely on the PATH."""

from sync_service.cli import main

main()

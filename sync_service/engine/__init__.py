"""The sync itself: what is pushed and pulled when, and why that is safe at any instruction."""

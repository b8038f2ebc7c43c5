"""Calsync: real-time two-way calendar sync for applications on Supabase."""

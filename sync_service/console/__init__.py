"""The console: a static page over the HTTP API, served at `/console`. No build, no third party."""

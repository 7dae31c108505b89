from hypothesis import settings

# How fast a busy machine is says nothing about the code; what hangs is ended by pytest-timeout.
settings.register_profile("gateway", deadline=None)
settings.load_profile("gateway")

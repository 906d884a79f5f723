"""The aiohttp application: routes, errors, and the driver that runs a turn."""

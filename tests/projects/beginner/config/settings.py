INSTALLED_APPS = [
    "apps.users",
]

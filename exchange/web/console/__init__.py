"""The console: pages for people, in Chinese and English. A client of the API, with the token of who signed in."""

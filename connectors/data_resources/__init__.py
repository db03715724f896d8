"""Data Resources Administration (数据资源管理局), which runs the government service windows: licences, both ways."""

"""Market Regulation Administration (市场监督管理局): registrations of enterprises, sole traders and cooperatives."""

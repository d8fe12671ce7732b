# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The HTTP API over several masters, see the README of role multimaster.postgresql.failover_api."""

"""What all tables share: one list of them, and the types that SQLite and PostgreSQL both have."""

from typing import Final

from sqlalchemy import BigInteger, Integer, MetaData, String

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

ID: Final = String(64)
SHA256: Final = String(64)
SERIAL: Final = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts INTEGER keys only

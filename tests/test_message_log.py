"""From a file to the rollups: a message log in the form of the CollegeMsg data set."""

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from random import Random

from tables import stored

FIRST = datetime(2004, 4, 15, 19, tzinfo=UTC)
NOW = datetime(2004, 6, 25, 12, tzinfo=UTC)


def message_log(messages=1_500, days=75, seed=7):
    """Lines `from to unixtime`; the first users write most, others join later."""
    rng = Random(seed)
    seconds = sorted(rng.randrange(days * 86_400) for _ in range(messages))
    return "".join(
        f"{int(rng.paretovariate(0.6)) % (30 + second // 20_000)} {rng.randrange(300)}"
        f" {int(FIRST.timestamp()) + second}\n"
        for second in seconds
    )


def test_a_message_log_gives_the_numbers_that_can_be_counted_by_hand(source, cli, tmp_path):
    rows = [line.split() for line in message_log().splitlines()]
    file = tmp_path / "messages.csv"
    lines = [f"{sender},session_submitted,{second}\n" for sender, _, second in rows]
    file.write_text("".join(["user,event,occurred_at\n", *lines]))
    loaded = cli("load", file, "--into-app")
    assert loaded.exit_code == 0, loaded.stderr
    users = len({sender for sender, *_ in rows})
    assert loaded.stdout.startswith(f"Loaded 1,500 events of {users} users, 2004-04-15T")
    assert "--as-of 2004-07-07 --window-days 84" in loaded.stderr
    ran = cli("--json", "--as-of", NOW.isoformat(), "--window-days", 60)
    assert ran.exit_code == 0, ran.stdout

    sent, senders, first_day = Counter(), defaultdict(set), {}
    for sender, _, second in rows:
        moment = datetime.fromtimestamp(int(second), UTC)
        if moment <= NOW + timedelta(minutes=5):
            sent[moment.date()] += 1
            senders[moment.date()].add(sender)
            first_day.setdefault(sender, moment.date())
    joined = Counter(first_day.values())

    daily = stored(source.conn).daily
    days = [NOW.date() - timedelta(days=n) for n in range(60)]
    assert sum(sent[day] for day in days) < sum(sent.values()) < len(rows)
    for day in days:
        overall = {key[1]: row for key, row in daily.items() if key[::2] == (day, "overall")}
        assert overall["dau"][0] == len(senders[day])
        assert overall["new_users"][0] == joined[day]
        assert overall["sessions_submitted"][0] == sent[day]
        # A message is a session, so everybody who joins has submitted one.
        value, dimensions, _ = overall["logging_rate_24h"]
        assert (value, dimensions["cohort_size"]) == (float(joined[day] > 0), joined[day])
        assert dimensions["converted_users"] == joined[day]
    assert {row["ignored_count"] for row in ran.summary["jobs"]} == {
        sum(NOW.timestamp() + 300 < int(s) < (NOW.timestamp() + 43_200) for *_, s in rows)
    }

"""The fitness app of the demo, whose events are the defaults of all settings."""

from dbt_project.demo.people import App, Experiment, Step

LOADED, STARTED = ("workouts_default_loaded",), ("workout_started",)
MOBILE = ("ios", "android")

APP = App(
    title="made-up app",
    prefix="user_",
    settings={},
    weekdays=(1.3, 1.1, 1.05, 1.0, 0.85, 0.65, 0.75),  # good resolutions, then rest
    peaks=((7.2, 1.3), (18.0, 2.2)),
    peak_weights=(4, 6),
    openings=("app_opened", "tab_opened"),
    asides=("profile_viewed", "history_viewed", "settings_opened", "push_received", "plan_browsed"),
    steps=(
        Step(0.72, (LOADED, STARTED, LOADED + STARTED)),
        Step(0.70, (("exercise_logged",),), times=6),
        Step(0.72, (("session_submitted",),)),
        Step(0.3, (("achievement_unlocked",),)),
    ),
    slow="exercise_logged",
    facts={"exercise_logged": {"sets": 3}},
    platforms={"ios": (55, 1.2, 2), "android": (40, 0.85, 6), "web": (5, 0.4, 0)},
    sources={"organic": (45, 1.15), "ads": (30, 0.6), "friend": (20, 1.4), None: (5, 1.0)},
    releases=(("2.5.0", -12), ("2.4.1", -30)),
    oldest="2.3.0",
    # Only "guided" changes what users do: it wins, and exp_rest_timer stays open. exp_streak_badge
    # ended recently enough for its last cohorts to be in a window of 14 days, and exp_weekly_goal
    # is too young for a verdict. The two others are broken.
    experiments={
        "exp_first_workout": Experiment(
            -60, None, ("ios", "android", "web"), (("A", "list", 0.5), ("B", "guided", 0.5))
        ),
        "exp_home_feed": Experiment(
            -25, None, MOBILE, (("A", "latest", 0.5), ("B", "friends", 0.5))
        ),
        "exp_push_time": Experiment(
            -35, None, MOBILE, (("A", "morning", 0.5), ("B", "evening", 0.5)), drawn=(0.57, 0.43)
        ),
        "exp_rest_timer": Experiment(
            -30, None, MOBILE, (("A", "off", 0.34), ("B", "fixed", 0.33), ("C", "adaptive", 0.33))
        ),
        "exp_streak_badge": Experiment(
            -60, -10, MOBILE, (("A", "hidden", 0.5), ("B", "shown", 0.5))
        ),
        "exp_weekly_goal": Experiment(
            -3, None, ("ios", "android", "web"), (("A", "off", 0.5), ("B", "on", 0.5))
        ),
    },
    winner="exp_first_workout",
    lift=0.3,
    switched="exp_home_feed",
)

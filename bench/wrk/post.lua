-- Posts the JSON that is given after `--`; without one, wrk's plain GET stays.
function init(arguments)
  if arguments[1] then
    wrk.method = "POST"
    wrk.body = arguments[1]
    wrk.headers["Content-Type"] = "application/json"
  end
end
